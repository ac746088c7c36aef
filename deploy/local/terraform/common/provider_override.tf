# The rehearsal talks to the emulated AWS alone: every service that the configuration uses has its endpoint there.
# Credentials come by the environment, and are nobody's.

provider "aws" {
  s3_use_path_style = true

  # Calls of S3 Control go to ACCOUNT.127.0.0.1, a name that no resolver knows; all others go past a proxy, as they are
  # for a loopback address.
  http_proxy  = var.rehearsal_endpoint
  https_proxy = ""
  no_proxy    = "localhost"

  endpoints {
    acm       = var.rehearsal_endpoint
    ec2       = var.rehearsal_endpoint
    eks       = var.rehearsal_endpoint
    elbv2     = var.rehearsal_endpoint
    iam       = var.rehearsal_endpoint
    kms       = var.rehearsal_endpoint
    logs      = var.rehearsal_endpoint
    route53   = var.rehearsal_endpoint
    s3        = var.rehearsal_endpoint
    s3control = var.rehearsal_endpoint
    sts       = var.rehearsal_endpoint
    wafv2     = var.rehearsal_endpoint
  }
}
