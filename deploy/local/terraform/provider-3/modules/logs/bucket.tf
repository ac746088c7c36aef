# Provider 3.x: encryption, versions and lifecycle are arguments of the bucket, not resources of their own.

resource "aws_s3_bucket" "this" {
  bucket        = var.bucket
  force_destroy = var.force_destroy

  server_side_encryption_configuration {
    rule {
      apply_server_side_encryption_by_default {
        sse_algorithm = "AES256"
      }
    }
  }

  versioning {
    enabled = true
  }

  lifecycle_rule {
    id      = "expire"
    enabled = true

    abort_incomplete_multipart_upload_days = 1

    expiration {
      days = var.retention_days
    }

    noncurrent_version_expiration {
      days = 7
    }
  }
}
