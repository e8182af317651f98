from knox.auth import TokenAuthentication


class ServiceTokenAuthentication(TokenAuthentication):
    pass
