output "vpc_id" {
  description = "ID of the VPC."
  value       = aws_vpc.this.id
}

# The IDs are known only together with the ways out, so that what is put into the subnets can use these.
output "public_subnet_ids" {
  description = "IDs of the public subnets, in the order of the zones."
  value       = [for zone in var.zones : aws_subnet.public[zone].id]
  depends_on  = [aws_route.internet, aws_route_table_association.public]
}

output "private_subnet_ids" {
  description = "IDs of the private subnets, in the order of the zones."
  value       = [for zone in var.zones : aws_subnet.private[zone].id]
  depends_on  = [aws_route.nat, aws_route_table_association.private]
}
