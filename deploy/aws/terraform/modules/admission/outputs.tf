output "security_group_id" {
  description = "Security group for the ALB."
  value       = aws_security_group.alb.id
}
