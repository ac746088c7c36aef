# Who may connect to what: clients to the ALB, the ALB to the VPC alone, and on to the nodes.

resource "aws_security_group" "alb" {
  #checkov:skip=CKV2_AWS_5:it is the ALB's: of the module alb, or of the one that the controller makes
  name        = "${var.name}-alb"
  description = "ALB of ${var.name}"
  vpc_id      = var.vpc_id
  tags        = { Name = "${var.name}-alb" }

  dynamic "ingress" {
    for_each = { 80 = "HTTP, to be redirected", 443 = "HTTPS" }
    content {
      description = ingress.value
      protocol    = "tcp"
      from_port   = ingress.key
      to_port     = ingress.key
      cidr_blocks = var.ingress_cidrs
    }
  }

  egress {
    description = "To what it forwards to"
    protocol    = "tcp"
    from_port   = 0
    to_port     = 65535
    cidr_blocks = [var.vpc_cidr]
  }
}

# Chained: the nodes let in what comes by the NLB, on the ports of the Gateway.
resource "aws_security_group_rule" "gateway" {
  for_each = toset(var.through_gateway ? [for port in var.gateway_ports : tostring(port)] : [])

  type              = "ingress"
  description       = "Gateway of ${var.name}"
  security_group_id = var.cluster_security_group_id
  protocol          = "tcp"
  from_port         = tonumber(each.value)
  to_port           = tonumber(each.value)
  cidr_blocks       = var.gateway_cidrs
}

# Direct: the nodes let in the ALB, which connects to the pods themselves on any port. Network policies say to which.
resource "aws_security_group_rule" "pods" {
  count = var.through_gateway ? 0 : 1

  type                     = "ingress"
  description              = "ALB of ${var.name}"
  security_group_id        = var.cluster_security_group_id
  protocol                 = "tcp"
  from_port                = 0
  to_port                  = 65535
  source_security_group_id = aws_security_group.alb.id
}
