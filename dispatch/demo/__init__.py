"""The invented city for the local trial: at rest, or simulated with riders and vans."""
