"""The embedded AWS on this machine: an emulator on the loopback interface, and the CDK deployed to it."""
