"""The words from which settings are chosen."""

from typing import Literal, TypeAlias

Policy: TypeAlias = Literal["aal1", "aal2", "aal3"]
SigningAlgorithm: TypeAlias = Literal["HS256", "EdDSA", "ES256"]
RevocationCheck: TypeAlias = Literal["feed", "database", "none"]
PromoteOn: TypeAlias = Literal["refresh", "first_use"]
Refresh: TypeAlias = Literal["inline", "endpoint"]
SameSite: TypeAlias = Literal["lax", "strict", "none"]
Csrf: TypeAlias = Literal["fetch-metadata", "token", "both", "off"]
TokenTransport: TypeAlias = Literal["cookie", "header", "any"]
ClientProtocol: TypeAlias = Literal["supertokens"]
CacheControl: TypeAlias = Literal["no-store", "private, no-cache", "off"]
ClearSiteData: TypeAlias = Literal["prefetchCache", "cache", "off"]
MaxSessionsAction: TypeAlias = Literal["evict_oldest", "reject"]
IpAddress: TypeAlias = Literal["full", "truncated", "none"]
