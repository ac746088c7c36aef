"""What the provider calls for IAM and EKS; see `provider_calls`."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import json
from collections.abc import Sequence

from tests.deploy.provider_calls import (
    ACCOUNT,
    TAG_MAP,
    TAGS,
    Call,
    Resource,
    document,
    specification,
    tagged,
    trust,
)

AWS_POLICY = "arn:aws:iam::aws:policy/"


def role(name: str, service: str, *policies: str) -> Resource:
    """A role that a service takes, with policies; its ARN is kept as `NAME_role`."""
    named = {"RoleName": f"platform-{name}"}
    trusted = trust(service)
    return Resource(
        "aws_iam_role, aws_iam_role_policy_attachment",
        made=[
            Call(
                "iam",
                "create_role",
                {
                    **named,
                    "AssumeRolePolicyDocument": trusted,
                    "MaxSessionDuration": 3600,
                    "Path": "/",
                    "Tags": TAGS,
                },
                keeps={f"{name}_role": "Role.Arn"},
            ),
            *(Call("iam", "attach_role_policy", {**named, "PolicyArn": policy}) for policy in policies),
        ],
        read=[
            Call(
                "iam",
                "get_role",
                named,
                [
                    f"Role.AssumeRolePolicyDocument == `{trusted}`",
                    "Role.MaxSessionDuration == `3600`",
                    tagged("Role.Tags"),
                ],
            ),
            Call("iam", "list_role_policies", named, ["PolicyNames == `[]`"]),
            Call("iam", "list_attached_role_policies", named, [f"length(AttachedPolicies) == `{len(policies)}`"]),
        ],
        removed=[
            *(Call("iam", "detach_role_policy", {**named, "PolicyArn": policy}) for policy in policies),
            Call("iam", "list_attached_role_policies", named, ["AttachedPolicies == `[]`"]),
            Call("iam", "list_instance_profiles_for_role", named, ["InstanceProfiles == `[]`"]),
            Call("iam", "delete_role", named),
            Call("iam", "get_role", named, refused="NoSuchEntity"),
            Call("iam", "list_attached_role_policies", named, refused="NoSuchEntity"),
        ],
    )


_DOCUMENT = document(Action="elasticloadbalancing:Describe*", Resource="*")
_POLICY = {"PolicyArn": "$policy"}
POLICY = Resource(
    "aws_iam_policy",
    made=[
        Call(
            "iam",
            "create_policy",
            {"PolicyName": "platform-gatewright-policy", "Path": "/", "PolicyDocument": _DOCUMENT, "Tags": TAGS},
            keeps={"policy": "Policy.Arn"},
        )
    ],
    read=[
        Call("iam", "get_policy", _POLICY, ["Policy.DefaultVersionId == 'v1'", tagged("Policy.Tags")]),
        Call(
            "iam",
            "get_policy_version",
            {**_POLICY, "VersionId": "v1"},
            [f"PolicyVersion.Document == `{_DOCUMENT}`"],
        ),
    ],
    removed=[
        Call("iam", "list_policy_versions", _POLICY, ["length(Versions) == `1`"]),
        Call("iam", "delete_policy", _POLICY),
        Call("iam", "get_policy", _POLICY, refused="NoSuchEntity"),
    ],
)

LOGGED = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
_NAMED = {"name": "platform"}
_OF = {"clusterName": "platform"}
CLUSTER = Resource(
    "aws_eks_cluster",
    made=[
        Call(
            "eks",
            "create_cluster",
            {
                **_NAMED,
                "clientRequestToken": "once",
                "roleArn": "$cluster_role",
                "version": "1.35",
                "bootstrapSelfManagedAddons": False,
                "deletionProtection": True,
                # That EKS Auto Mode is off is said in three places, whether the configuration has them or not.
                "computeConfig": {"enabled": False},
                "storageConfig": {"blockStorage": {"enabled": False}},
                "kubernetesNetworkConfig": {"elasticLoadBalancing": {"enabled": False}},
                "logging": {"clusterLogging": [{"enabled": True, "types": LOGGED}, {"enabled": False, "types": []}]},
                "resourcesVpcConfig": {
                    "subnetIds": ["$subnet", "$other_subnet"],
                    "securityGroupIds": [],
                    "endpointPrivateAccess": True,
                    "endpointPublicAccess": True,
                    "publicAccessCidrs": ["0.0.0.0/0"],
                },
                "encryptionConfig": [{"resources": ["secrets"], "provider": {"keyArn": "$key_arn"}}],
                "accessConfig": {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": True},
                "upgradePolicy": {"supportType": "STANDARD"},
                "tags": TAG_MAP,
            },
        )
    ],
    read=[
        Call(
            "eks",
            "describe_cluster",
            _NAMED,
            [
                "cluster.status == 'ACTIVE'",
                "cluster.version == '1.35'",
                "cluster.deletionProtection",
                f"cluster.logging.clusterLogging[?enabled].types | [0] == `{json.dumps(LOGGED)}`",
                "cluster.resourcesVpcConfig.clusterSecurityGroupId",
                'cluster.resourcesVpcConfig.publicAccessCidrs == `["0.0.0.0/0"]`',
                "cluster.encryptionConfig[0].provider.keyArn == '$key_arn'",
                "cluster.accessConfig.authenticationMode == 'API'",
                "cluster.upgradePolicy.supportType == 'STANDARD'",
                "cluster.kubernetesNetworkConfig.serviceIpv4Cidr",
                "cluster.kubernetesNetworkConfig.elasticLoadBalancing.enabled == `false`",
                "cluster.createdAt",
                "cluster.certificateAuthority.data",
                "length(cluster.tags) == `2`",
            ],
            {"nodes_group": "cluster.resourcesVpcConfig.clusterSecurityGroupId"},
        )
    ],
    removed=[
        Call("eks", "delete_cluster", _NAMED, refused="InvalidRequestException"),
        Call("eks", "update_cluster_config", {**_NAMED, "deletionProtection": False}, keeps={"update": "update.id"}),
        Call("eks", "describe_update", {**_NAMED, "updateId": "$update"}, ["update.status == 'Successful'"]),
        Call("eks", "delete_cluster", _NAMED),
        Call("eks", "describe_cluster", _NAMED, refused="ResourceNotFoundException"),
    ],
)

_ADMIN = {**_OF, "principalArn": f"arn:aws:iam::{ACCOUNT}:user/admin"}
_ADMINISTRATOR = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
ACCESS = Resource(
    "aws_eks_access_entry, aws_eks_access_policy_association",
    made=[
        Call("eks", "create_access_entry", {**_ADMIN, "type": "STANDARD", "tags": TAG_MAP}),
        Call(
            "eks",
            "associate_access_policy",
            {**_ADMIN, "policyArn": _ADMINISTRATOR, "accessScope": {"type": "cluster"}},
        ),
    ],
    read=[
        Call(
            "eks",
            "describe_access_entry",
            _ADMIN,
            ["accessEntry.type == 'STANDARD'", "accessEntry.username", "length(accessEntry.tags) == `2`"],
        ),
        Call(
            "eks",
            "list_associated_access_policies",
            _ADMIN,
            [f"associatedAccessPolicies[?policyArn=='{_ADMINISTRATOR}'].accessScope.type|[0]=='cluster'"],
        ),
    ],
    removed=[
        Call("eks", "disassociate_access_policy", {**_ADMIN, "policyArn": _ADMINISTRATOR}),
        Call("eks", "list_associated_access_policies", _ADMIN, ["associatedAccessPolicies == `[]`"]),
        Call("eks", "delete_access_entry", _ADMIN),
        Call("eks", "describe_access_entry", _ADMIN, refused="ResourceNotFoundException"),
    ],
)


def addon(name: str, values: str = "") -> Resource:
    """An add-on with these configuration values, in the version that is the cluster's by default."""
    one = {**_OF, "addonName": name}
    default = "addons[0].addonVersions[?compatibilities[0].defaultVersion].addonVersion | [0]"
    given = {"configurationValues": values} if values else {}
    kept = [f"addon.configurationValues == '{values}'"] if values else []
    return Resource(
        "aws_eks_addon",
        made=[
            Call(
                "eks",
                "describe_addon_versions",
                {"addonName": name, "kubernetesVersion": "1.35"},
                [f"{default} != `null`"],
                keeps={"version": default},
            ),
            Call(
                "eks",
                "create_addon",
                {
                    **one,
                    **given,
                    "addonVersion": "$version",
                    "clientRequestToken": name,
                    "resolveConflicts": "OVERWRITE",
                    "tags": TAG_MAP,
                },
            ),
        ],
        read=[
            Call(
                "eks",
                "describe_addon",
                one,
                ["addon.status == 'ACTIVE'", "addon.addonVersion", "length(addon.tags) == `2`", *kept],
            )
        ],
        removed=[
            Call("eks", "delete_addon", one),
            Call("eks", "describe_addon", one, refused="ResourceNotFoundException"),
        ],
    )


_TEMPLATE = {"LaunchTemplateIds": ["$template"]}
_INSTANCES = [{"ResourceType": kind, "Tags": [{"Key": "Name", "Value": "system"}]} for kind in ("instance", "volume")]
_DEVICE = {"DeleteOnTermination": True, "Encrypted": True, "VolumeSize": 50, "VolumeType": "gp3"}
_METADATA = {"HttpEndpoint": "enabled", "HttpPutResponseHopLimit": 1, "HttpTokens": "required"}
_NODES = {**_OF, "nodegroupName": "system"}
_TAINT = {"key": "CriticalAddonsOnly", "value": "true", "effect": "NO_SCHEDULE"}


def _same(path: str, value: object) -> str:
    return f"{path} == `{json.dumps(value)}`"


NODES = Resource(
    "aws_launch_template, aws_eks_node_group",
    made=[
        Call(
            "ec2",
            "create_launch_template",
            {
                "ClientToken": "once",
                "LaunchTemplateName": "platform-system",
                "LaunchTemplateData": {
                    "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": _DEVICE}],
                    "MetadataOptions": _METADATA,
                    "TagSpecifications": _INSTANCES,
                },
                "TagSpecifications": specification("launch-template"),
            },
            keeps={"template": "LaunchTemplate.LaunchTemplateId"},
        ),
        Call(
            "eks",
            "create_nodegroup",
            {
                **_NODES,
                "clientRequestToken": "once",
                "nodeRole": "$node_role",
                "version": "1.35",
                "subnets": ["$subnet", "$other_subnet"],
                "amiType": "AL2023_x86_64_STANDARD",
                "instanceTypes": ["m7i.large"],
                "labels": {"role": "system"},
                "launchTemplate": {"id": "$template", "version": "1"},
                "scalingConfig": {"minSize": 2, "maxSize": 4, "desiredSize": 2},
                "taints": [_TAINT],
                "updateConfig": {"maxUnavailable": 1},
                "tags": TAG_MAP,
            },
        ),
    ],
    read=[
        Call(
            "ec2",
            "describe_launch_templates",
            _TEMPLATE,
            [
                _same("LaunchTemplates[0].[DefaultVersionNumber, LatestVersionNumber]", [1, 1]),
                tagged("LaunchTemplates[0].Tags"),
            ],
        ),
        Call(
            "ec2",
            "describe_launch_template_versions",
            {"LaunchTemplateId": "$template", "Versions": ["1"]},
            [
                _same("LaunchTemplateVersions[0].LaunchTemplateData.MetadataOptions", _METADATA),
                _same("LaunchTemplateVersions[0].LaunchTemplateData.TagSpecifications", _INSTANCES),
                _same("LaunchTemplateVersions[0].LaunchTemplateData.BlockDeviceMappings[0].Ebs", _DEVICE),
            ],
        ),
        Call(
            "eks",
            "describe_nodegroup",
            _NODES,
            [
                "nodegroup.status == 'ACTIVE'",
                "nodegroup.version == '1.35'",
                "nodegroup.amiType == 'AL2023_x86_64_STANDARD'",
                "nodegroup.launchTemplate.id == '$template'",
                "nodegroup.launchTemplate.version == '1'",
                "nodegroup.releaseVersion",
                "nodegroup.resources.autoScalingGroups[0].name",
                _same("nodegroup.taints", [_TAINT]),
                _same("nodegroup.updateConfig", {"maxUnavailable": 1}),
                _same("nodegroup.labels", {"role": "system"}),
                "length(nodegroup.tags) == `2`",
            ],
        ),
    ],
    removed=[
        Call("eks", "delete_nodegroup", _NODES),
        Call("eks", "describe_nodegroup", _NODES, refused="ResourceNotFoundException"),
        Call("ec2", "delete_launch_template", {"LaunchTemplateId": "$template"}),
        Call("ec2", "describe_launch_templates", _TEMPLATE, ["LaunchTemplates == `[]`"]),
    ],
)

_ASSOCIATION = {**_OF, "associationId": "$pod_identity"}
IDENTITY = Resource(
    "aws_eks_pod_identity_association",
    made=[
        Call(
            "eks",
            "create_pod_identity_association",
            {
                **_OF,
                "clientRequestToken": "once",
                "namespace": "gatewright-system",
                "serviceAccount": "gatewright",
                "roleArn": "$controller_role",
                "tags": TAG_MAP,
            },
            keeps={"pod_identity": "association.associationId"},
        )
    ],
    read=[
        Call(
            "eks",
            "describe_pod_identity_association",
            _ASSOCIATION,
            [
                "association.roleArn == '$controller_role'",
                "association.disableSessionTags == `false`",
                "length(association.tags) == `2`",
            ],
        )
    ],
    removed=[
        Call("eks", "delete_pod_identity_association", _ASSOCIATION),
        Call("eks", "describe_pod_identity_association", _ASSOCIATION, refused="ResourceNotFoundException"),
    ],
)

_NODE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly", "AmazonEKS_CNI_Policy")
ALL: Sequence[Resource] = (
    role("cluster", "eks.amazonaws.com", f"{AWS_POLICY}AmazonEKSClusterPolicy"),
    role("node", "ec2.amazonaws.com", *(f"{AWS_POLICY}{name}" for name in _NODE_POLICIES)),
    POLICY,
    role("controller", "pods.eks.amazonaws.com", "$policy"),
    CLUSTER,
    ACCESS,
    addon("kube-proxy"),
    addon("vpc-cni", json.dumps({"enableNetworkPolicy": "true", "env": {"WARM_PREFIX_TARGET": "1"}})),
    NODES,
    addon("coredns", json.dumps({"nodeSelector": {"role": "system"}})),
    IDENTITY,
)
