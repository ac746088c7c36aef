output "arn" {
  description = "ARN of the ALB."
  value       = aws_lb.this.arn
}

output "dns_name" {
  description = "Its DNS name."
  value       = aws_lb.this.dns_name
}

output "zone_id" {
  description = "Hosted zone of its DNS name, for alias records."
  value       = aws_lb.this.zone_id
}

output "target_group_arn" {
  description = "ARN of the target group for the Gateway."
  value       = aws_lb_target_group.gateway.arn
}

output "target_group_name" {
  description = "Its name."
  value       = aws_lb_target_group.gateway.name
}

output "target_group_port" {
  description = "Its port."
  value       = aws_lb_target_group.gateway.port
}
