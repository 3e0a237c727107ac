"""The contract of a model: its types, inputs and outputs, the checks of values, and OpenAPI."""
