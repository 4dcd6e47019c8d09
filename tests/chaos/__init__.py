"""Load from many processes while policies are edited and Redis fails; ``make chaos`` runs all of it."""
