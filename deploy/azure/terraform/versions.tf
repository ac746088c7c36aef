terraform {
  required_version = ">= 1.11"

  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 4.55"
    }
  }
}

# The subscription and how to sign in come from the environment: ARM_SUBSCRIPTION_ID and `az login`, or ARM_* of a
# service principal or workload identity.
provider "azurerm" {
  features {
    key_vault {
      # The vault is protected against purging: one that was destroyed comes back under its name.
      purge_soft_delete_on_destroy    = false
      recover_soft_deleted_key_vaults = true
    }
    resource_group {
      # Whatever somebody else put there shall be looked at before it goes.
      prevent_deletion_if_contains_resources = true
    }
  }
}
