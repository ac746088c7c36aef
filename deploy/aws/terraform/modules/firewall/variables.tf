variable "name" {
  description = "Name of the platform."
  type        = string
}

variable "mode" {
  description = "Block or Count: what becomes of requests that managed rules match."
  type        = string
}

variable "rate_limit" {
  description = "Requests in five minutes from one address above which it is blocked."
  type        = number
}

variable "key_arn" {
  description = "Key by which logs are encrypted."
  type        = string
}
