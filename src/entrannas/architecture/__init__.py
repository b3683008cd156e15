"""What a search chooses from and what it finds: search spaces, genotypes, and their pictures."""
