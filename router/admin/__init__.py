"""The admin plane: sign-in, pages and their JSON, an audit log. It never answers queries."""
