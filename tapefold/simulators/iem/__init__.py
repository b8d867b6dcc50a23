"""IEM as its clients see it: model output statistics, climate reports, station lists; recorded or made up by a seed."""
