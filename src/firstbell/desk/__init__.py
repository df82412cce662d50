"""The pages of officers, leads and data stewards. A page asks for what it shows with one named query, and holds no rule."""
