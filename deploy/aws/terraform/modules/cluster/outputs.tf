output "name" {
  description = "Name of the cluster."
  value       = aws_eks_cluster.this.name
}

output "endpoint" {
  description = "URL of its API."
  value       = aws_eks_cluster.this.endpoint
}

output "certificate_authority" {
  description = "Certificate authority of its API, PEM in base64."
  value       = aws_eks_cluster.this.certificate_authority[0].data
}

output "security_group_id" {
  description = "Security group that EKS has made: of the control plane and of all nodes."
  value       = aws_eks_cluster.this.vpc_config[0].cluster_security_group_id
}
