# Layer 1: a VPC with a public and a private subnet in each zone.

resource "aws_vpc" "this" {
  cidr_block           = var.vpc_cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = { Name = var.name }
}

# Nothing is meant to use it: what does so by mistake gets no connection at all.
resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = "${var.name}-default" }
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = var.name }
}

locals {
  indices = { for index, zone in var.zones : zone => index }
  # Load balancers find their subnets by these tags.
  discovery = { "kubernetes.io/cluster/${var.name}" = "shared" }
}

resource "aws_subnet" "public" {
  for_each = local.indices

  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = var.public_subnet_cidrs[each.value]
  tags = merge(local.discovery, {
    Name                     = "${var.name}-public-${each.key}"
    "kubernetes.io/role/elb" = "1"
  })
}

resource "aws_subnet" "private" {
  for_each = local.indices

  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = var.private_subnet_cidrs[each.value]
  tags = merge(local.discovery, {
    Name                              = "${var.name}-private-${each.key}"
    "kubernetes.io/role/internal-elb" = "1"
  })
}

# What was refused tells why something isn't reached; all of it would cost by traffic.
resource "aws_flow_log" "refused" {
  vpc_id               = aws_vpc.this.id
  traffic_type         = "REJECT"
  log_destination_type = "s3"
  log_destination      = "arn:${var.partition}:s3:::${var.log_bucket}"
  tags                 = { Name = "${var.name}-refused" }
}
