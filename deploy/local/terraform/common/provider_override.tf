# The rehearsal talks to the emulated AWS alone: every service that the configuration uses has its endpoint there.
# Credentials come by the environment, and are nobody's.

provider "aws" {
  s3_use_path_style = true

  endpoints {
    acm     = var.rehearsal_endpoint
    ec2     = var.rehearsal_endpoint
    eks     = var.rehearsal_endpoint
    elbv2   = var.rehearsal_endpoint
    iam     = var.rehearsal_endpoint
    kms     = var.rehearsal_endpoint
    logs    = var.rehearsal_endpoint
    route53 = var.rehearsal_endpoint
    s3      = var.rehearsal_endpoint
    sts     = var.rehearsal_endpoint
    wafv2   = var.rehearsal_endpoint
  }
}
