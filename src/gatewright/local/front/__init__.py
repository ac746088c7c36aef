"""What stands in front of a local cluster, as a platform team's Terraform makes it: described in a file, made through
the AWS API."""
