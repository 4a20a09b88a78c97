"""What every path of the pipeline costs, how fast it is and where it stops, measured on real processes over mTLS."""
