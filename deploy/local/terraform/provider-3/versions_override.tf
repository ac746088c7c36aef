# For a rehearsal where only version 3.39 of the provider can be had. What it doesn't know is in the files below modules/,
# each of which takes the place of the file of the same name; all others are the real ones.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 3.39"
    }
  }
}
