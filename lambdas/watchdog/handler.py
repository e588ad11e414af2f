"""Lambda's entry point of the watchdog."""

from lambdas.bootstrap import bootstrap
from lambdas.watchdog.function import Settings, WatchdogFunction

handler = bootstrap(WatchdogFunction, Settings)
