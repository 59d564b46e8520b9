"""The wing that measures: recipes, networks, trainings, and what the runs say."""
