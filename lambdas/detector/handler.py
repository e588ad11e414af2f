"""Lambda's entry point of the detector."""

from lambdas.bootstrap import bootstrap
from lambdas.detector.function import DetectorFunction, Settings

handler = bootstrap(DetectorFunction, Settings)
