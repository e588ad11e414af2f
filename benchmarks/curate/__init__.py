"""The curation's benchmark: readings a second from raw objects to Parquet, and the memory that takes."""
