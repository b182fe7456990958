"""What every stored thing stands on: the engine, the schema and the tables. It owns no rule."""
