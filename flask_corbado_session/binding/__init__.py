"""Device binding (DBSC, W3C draft): the proofs, challenges and headers by which a browser shows that it holds a key."""
