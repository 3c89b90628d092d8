"""What is done to series of soil moisture: filters, climatologies, percentiles, rescaling, trends."""
