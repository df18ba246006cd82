"""Links: layers with parameters, and models that compute a loss."""

from chainrule.links.classifier import Classifier
from chainrule.links.linear import Linear
