from .averaging import average_probe as average_probe
from .build import Probe as Probe
from .build import build_probe as build_probe
from .model.loading import LoadedModel as LoadedModel
from .model.loading import load_model as load_model
from .model.variants import CNN2 as CNN2
from .model.variants import CNN3 as CNN3
from .model.variants import CNN11 as CNN11
from .model.weights import load_weights as load_weights

__all__ = [
    "CNN2",
    "CNN3",
    "CNN11",
    "LoadedModel",
    "Probe",
    "average_probe",
    "build_probe",
    "load_model",
    "load_weights",
]
