"""From a recipe to a plan, from a plan to a supervised run and its record."""
