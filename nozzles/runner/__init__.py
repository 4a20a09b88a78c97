"""What runs one nozzle: from the Dopplers to the sink, with everything in between that no sink should care about."""
