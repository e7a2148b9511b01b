"""The test world's AWS: moto behind a gateway that checks what AWS checks and moto does not."""
