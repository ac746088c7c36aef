# Provider 3.x doesn't know BucketOwnerEnforced.

resource "aws_s3_bucket_ownership_controls" "this" {
  rule {
    object_ownership = "BucketOwnerPreferred"
  }
}
