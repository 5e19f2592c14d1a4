"""The invented city in the database, for the local trial: at rest, or with riders and vans."""
