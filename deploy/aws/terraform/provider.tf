provider "aws" {
  region = var.region

  default_tags {
    tags = merge({ "gatewright.dev/platform" = var.name }, var.tags)
  }
}
