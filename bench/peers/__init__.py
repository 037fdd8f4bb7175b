"""StructRAG beside other tools, in one resumable run: `bench/side_by_side.py`."""
