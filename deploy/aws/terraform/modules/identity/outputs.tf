output "role_arn" {
  description = "ARN of the controller's role."
  value       = aws_iam_role.this.arn
}
