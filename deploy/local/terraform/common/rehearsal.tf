variable "rehearsal_endpoint" {
  description = "URL of the emulated AWS."
  type        = string

  validation {
    condition     = can(regex("^http://(127\\.[0-9.]+|localhost)(:[0-9]+)?/?$", var.rehearsal_endpoint))
    error_message = "rehearsal_endpoint has to be an address of this machine, such as http://127.0.0.1:5000: a rehearsal changes no real account."
  }
}
