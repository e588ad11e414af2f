"""The infrastructure as a CDK app: settings, names, bundles, constructs and stacks."""
