"""Lambda's entry point of the notifier."""

from lambdas.bootstrap import bootstrap
from lambdas.notifier.function import NotifierFunction, Settings

handler = bootstrap(NotifierFunction, Settings)
