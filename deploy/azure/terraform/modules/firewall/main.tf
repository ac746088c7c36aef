# The web application firewall's policy: Microsoft's rules for attacks and bots, and a limit for each client.

resource "azurerm_web_application_firewall_policy" "this" {
  #checkov:skip=CKV_AZURE_135:It knows OWASP's rule sets only; rule 944240 (Log4j) is in Microsoft's default rule set, too.
  name                = var.name
  resource_group_name = var.resource_group
  location            = var.location
  tags                = var.tags

  policy_settings {
    enabled                     = true
    mode                        = var.mode
    request_body_check          = true
    max_request_body_size_in_kb = 128
    file_upload_limit_in_mb     = 100
  }

  managed_rules {
    managed_rule_set {
      type    = "Microsoft_DefaultRuleSet"
      version = "2.1"
    }

    managed_rule_set {
      type    = "Microsoft_BotManagerRuleSet"
      version = "1.1"
    }
  }

  custom_rules {
    name                 = "RateLimit"
    priority             = 10
    rule_type            = "RateLimitRule"
    action               = "Block"
    rate_limit_duration  = "OneMin"
    rate_limit_threshold = var.rate_limit
    group_rate_limit_by  = "ClientAddr"

    # A rule has to match something: every address, as Azure's documentation asks for it.
    match_conditions {
      operator           = "IPMatch"
      match_values       = ["255.255.255.255/32"]
      negation_condition = true

      match_variables {
        variable_name = "RemoteAddr"
      }
    }
  }
}
