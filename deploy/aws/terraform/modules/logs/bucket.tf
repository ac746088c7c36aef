# Where load balancers put their access logs (alb/) and the VPC its refused connections (AWSLogs/). The former can't write
# to buckets that are encrypted with keys of KMS.

resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_18:it holds access logs, and logs of who reads logs would need a bucket of their own
  #checkov:skip=CKV_AWS_144:logs of a region are of use where the region is
  #checkov:skip=CKV_AWS_145:load balancers can write to buckets encrypted with keys of S3 only
  #checkov:skip=CKV2_AWS_62:nothing waits for logs
  bucket        = var.bucket
  force_destroy = var.force_destroy
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_versioning" "this" {
  bucket = aws_s3_bucket.this.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    id     = "expire"
    status = "Enabled"

    filter {}

    expiration {
      days = var.retention_days
    }

    noncurrent_version_expiration {
      noncurrent_days = 7
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  depends_on = [aws_s3_bucket_versioning.this]
}
