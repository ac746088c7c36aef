# Provider 3.x: `domain` can't be given, its predecessor is `vpc`.

resource "aws_eip" "nat" {
  for_each = toset(local.nat_zones)

  vpc  = true
  tags = { Name = "${var.name}-nat-${each.key}" }

  depends_on = [aws_internet_gateway.this]
}
