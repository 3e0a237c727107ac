"""What a model declares, and how values are checked against it: types, inputs, outputs, OpenAPI."""
