"""The fold: pure parsers and operators, composed in `pipeline`; `app` and `transport` turn it on Faust."""
