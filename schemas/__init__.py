"""Floor 0: what data is. Standard library, pyarrow and pydantic only."""
