# In the place of the file for newer versions of the provider. Two names differ in 3.x (elbv2 was elb, logs was
# cloudwatchlogs), and so does the argument for addresses of buckets.

provider "aws" {
  s3_force_path_style = true

  endpoints {
    acm            = var.rehearsal_endpoint
    cloudwatchlogs = var.rehearsal_endpoint
    ec2            = var.rehearsal_endpoint
    eks            = var.rehearsal_endpoint
    elb            = var.rehearsal_endpoint
    iam            = var.rehearsal_endpoint
    kms            = var.rehearsal_endpoint
    route53        = var.rehearsal_endpoint
    s3             = var.rehearsal_endpoint
    sts            = var.rehearsal_endpoint
    wafv2          = var.rehearsal_endpoint
  }
}
